// Says what a chosen photo shows. With vision.c and vision.h of ../c and model.h in the project, a bridging header that says
// #include "vision.h", model.tflite among the app's resources, and the pod or package TensorFlowLiteSwift. Apache-2.0.
import PhotosUI
import SwiftUI
import TensorFlowLite

func predict(_ photo: UIImage) throws -> String {
    let format = UIGraphicsImageRendererFormat()
    format.scale = 1
    let upright = UIGraphicsImageRenderer(size: photo.size, format: format).image { _ in photo.draw(at: .zero) }
    guard let image = upright.cgImage, let path = Bundle.main.path(forResource: "model", ofType: "tflite") else { return "" }
    let (width, height) = (image.width, image.height)
    var rgba = [UInt8](repeating: 255, count: 4 * width * height)
    let context = CGContext(
        data: &rgba, width: width, height: height, bitsPerComponent: 8, bytesPerRow: 4 * width,
        space: CGColorSpace(name: CGColorSpace.sRGB)!, bitmapInfo: CGImageAlphaInfo.noneSkipLast.rawValue)
    context?.draw(image, in: CGRect(x: 0, y: 0, width: width, height: height))
    var rgb = [UInt8](repeating: 0, count: 3 * width * height)
    for pixel in 0..<width * height {
        for color in 0..<3 { rgb[3 * pixel + color] = rgba[4 * pixel + color] }
    }
    var input = [UInt8](repeating: 0, count: Int(MODEL_HEIGHT * MODEL_WIDTH * 3))
    rgb.withUnsafeBufferPointer { pixels in
        var given = RgbImage(width: Int32(width), height: Int32(height), rgb: pixels.baseAddress)
        _ = make_input(&given, &input)
    }
    let interpreter = try Interpreter(modelPath: path)
    try interpreter.allocateTensors()
    try interpreter.copy(Data(input), toInputAt: 0)
    try interpreter.invoke()
    let probabilities = try interpreter.output(at: 0).data.withUnsafeBytes { Array($0.bindMemory(to: Float32.self)) }
    var answers = [Answer](repeating: Answer(), count: 3)
    let count = best_classes(probabilities, &answers, 3)
    return answers.prefix(Int(count)).map { "\(String(cString: label_of($0.index))) \($0.score)" }.joined(separator: "\n")
}

struct ContentView: View {
    @State private var choice: PhotosPickerItem?
    @State private var answer = ""

    var body: some View {
        VStack {
            PhotosPicker("Photo", selection: $choice, matching: .images)
            Text(answer)
        }
        .onChange(of: choice) {
            Task {
                guard let data = try? await choice?.loadTransferable(type: Data.self), let photo = UIImage(data: data) else { return }
                answer = (try? predict(photo)) ?? "no answer"
            }
        }
    }
}
